"""Rules of LLMInferenceServices, of models and of own templates."""
