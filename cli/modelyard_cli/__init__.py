"""`modelyard`: what people and pipelines do on their own machine before a model goes to a cluster."""
