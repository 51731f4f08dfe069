"""Manifests as prepared statements: templates, their values, and what may be in one."""
