"""The attribute classifier by its earlier names."""

from laser_cli.storybook.classifier import FOLDER as FOLDER
from laser_cli.storybook.classifier import AttributeClassifier as Critic
from laser_cli.storybook.classifier import load_classifier as load_critic
from laser_cli.storybook.classifier import save_classifier as save_critic

__all__ = ["FOLDER", "Critic", "load_critic", "save_critic"]
