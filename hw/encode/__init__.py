"""The encode unit: tensors in memory made of tensors in memory."""
