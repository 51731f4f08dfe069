"""How a model is watched: what is scraped, what is recorded, who is told, and what is shown."""
