"""Backbones, augmentation, training, prediction and metrics."""
