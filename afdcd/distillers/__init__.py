"""The distillation methods, one file each; their settings are in configs/."""
