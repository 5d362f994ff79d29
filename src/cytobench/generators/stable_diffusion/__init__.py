"""Stable Diffusion, adapted to blood cells with few images: base models, adapters, prompts, tuning, drawing."""
