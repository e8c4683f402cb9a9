"""The build engine: finds the stages that are stale and runs them. It knows nothing of models."""
