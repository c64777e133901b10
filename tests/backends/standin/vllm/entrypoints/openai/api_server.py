"""A server with the arguments and the words of vLLM's."""

import argparse
import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = os.environ.get("VLLM_API_KEY")
HANGS = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def main() -> None:
    how = os.environ.get("STANDIN", "")
    parser = argparse.ArgumentParser(prog="api_server.py")
    for name in ("model", "served-model-name", "host", "gpu-memory-utilization", "block-size", "max-model-len"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--port", type=int)
    parser.add_argument("--enable-prompt-tokens-details", action="store_true")
    parser.add_argument("--enforce-eager", action=argparse.BooleanOptionalAction)
    asked = parser.parse_args()
    print("(APIServer pid=1) INFO 01-01 00:00:00 [api.py:1] non-default args:", sys.argv[1:], flush=True)
    print("cache space:", os.environ.get("VLLM_CPU_KVCACHE_SPACE"), flush=True)
    if how == "dies":
        print("(EngineCore pid=2) ERROR 01-01 00:00:00 [core.py:9] ValueError: the moon is full.", flush=True)
        print("RuntimeError: Engine core initialization failed. See root cause above.", flush=True)
        sys.exit(1)
    if "orphan" in how:  # as vLLM's engine, which is not to outlive it, whatever it does
        subprocess.Popen([sys.executable, "-c", HANGS])
    if "stubborn" in how:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "loads for ever" in how:
        while True:
            signal.pause()
    if how == "port taken" and not os.path.exists(os.environ["STANDIN_MARK"]):
        open(os.environ["STANDIN_MARK"], "w").close()
        print("OSError: [Errno 98] Address already in use", flush=True)
        sys.exit(1)

    calls = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if KEY is not None and self.headers.get("authorization") != f"Bearer {KEY}":
                self._send({"error": "Unauthorized"}, 401)
            elif self.path == "/v1/models":
                self._send({"data": [{"id": asked.served_model_name, "owned_by": "vllm", "max_model_len": 512}]})
            elif self.path == "/version":
                self._send({"version": "0.32.0"})
            else:
                self._send({"error": "no such page"}, 404)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if self.path != "/v1/chat/completions":
                self._send({"error": "no such page"}, 404)
                return
            nonlocal calls
            calls += 1
            if how == f"dies at call {calls}":
                print("(EngineCore pid=2) ERROR 01-01 00:00:00 [core.py:9] ValueError: the tide is out.", flush=True)
                os._exit(1)
            message = {"role": "assistant", "content": "hello"}
            usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
            self._send({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

        def _send(self, body: object, status: int = 200) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    ThreadingHTTPServer((asked.host, asked.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
