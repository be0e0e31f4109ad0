"""What is to be computed: networks, FLOPs, how nonzeros are spread."""
