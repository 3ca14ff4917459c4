"""Networks in torch: blocks, the device, and the one training loop."""
