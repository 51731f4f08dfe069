"""Kapitan."""
