"""GitOps manifests for model serving: specs in, checked Kustomize overlays out."""

__version__ = "0.1.0"
