"""Fitting recorded spikes and traces of neurons."""

from .recording import RecordingFit, Restart, fit_recording

__all__ = ["RecordingFit", "Restart", "fit_recording"]
