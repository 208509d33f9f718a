"""Run folders, recipes of models, inference over many examples, figures and commands."""
