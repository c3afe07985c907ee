"""What interpolations are worth and cost, on pairs of storybook items whose true in-betweens are known."""
