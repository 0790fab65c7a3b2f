"""The hands: records of measurements, workers that build, an isolated process that runs."""
