"""Kubernetes objects: composed as Kustomize does, and judged by their schemas."""
