"""What animations are worth, on edits and stories of the storybook world whose true course is known."""
