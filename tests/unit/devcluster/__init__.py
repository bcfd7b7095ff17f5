"""Tests of devcluster's pure parts, and of those that touch only a temporary folder and their own processes."""
