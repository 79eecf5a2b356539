"""What differs between families of models: where their linears are and how a layer is computed."""
