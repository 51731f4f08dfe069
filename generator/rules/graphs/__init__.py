"""Rules of InferenceGraphs, of models and of own templates."""
