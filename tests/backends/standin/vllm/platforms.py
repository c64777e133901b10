import os


class _Platform:
    device_type = os.environ.get("STANDIN_DEVICE", "cpu")


current_platform = _Platform()
