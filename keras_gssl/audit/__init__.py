"""Which labels of one's pictures are likely wrong, which pictures are odd, and which are there twice."""
