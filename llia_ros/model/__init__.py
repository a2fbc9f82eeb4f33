"""The denoiser and what surrounds it: functions of tensors, without files, threads or devices."""
