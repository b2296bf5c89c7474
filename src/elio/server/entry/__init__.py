"""Who gets in: what stands before handlers."""
