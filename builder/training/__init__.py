"""Training. Modules that import torch are only imported in a worker process."""
