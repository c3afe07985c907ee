"""The diffusion core: models, schedule, sampling, inversion, hooks, the anchors-and-frames loop; knows no commands."""
