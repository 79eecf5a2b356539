"""One memory on disk: safetensors and a JSON manifest, and its export to PEFT."""
