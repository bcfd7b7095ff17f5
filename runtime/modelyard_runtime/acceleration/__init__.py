"""Faster engines for models that scikit-learn wrote, proven equal before they serve; see docs/acceleration.md."""
