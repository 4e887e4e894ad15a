"""One worker against a bare script of the same work, in turns, so that the host's drift hits both.

python benchmarks/bare_script.py --rounds 3 --times 50
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from mps_experiments.record.measurement import read_measurement

BARE = """
import os, sys, time, torch, torchvision
from PIL import Image
core, image, times, name = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(1)
torch.manual_seed(0)
device = torch.device("cuda:0")
stream = torch.cuda.Stream(device)
with torch.inference_mode(), torch.cuda.stream(stream):
    arguments = dict(weights=None)
    if "rcnn" in name:
        arguments |= dict(weights_backbone=None, box_score_thresh=0.0)
    with device:
        model = torchvision.models.get_model(name, **arguments).eval()
    preprocess = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    tensor = preprocess(Image.open(image).convert("RGB")).to(device)
    inputs = [tensor] if "rcnn" in name else tensor.unsqueeze(0)
    os.sched_setaffinity(0, [core])
    for _ in range(2):
        model(inputs)
        stream.synchronize()
    started = time.monotonic()
    for _ in range(times):
        model(inputs)
        stream.synchronize()
    print(time.monotonic() - started)
"""


def run_worker(workload: str, times: int) -> tuple[float, int, str]:
    """Elapsed seconds of one worker with MPS off, the core it was bound to, and its image."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "mps_experiments", f"workload={workload}", "mps=off", "procs=1"),
            *(
                f"times={times}",
                "workers.cpu_affinity=auto",
                "tracking=none",
                f"output_dir={folder}",
                f"hydra.run.dir={folder}/run",
            ),
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
        measurement = read_measurement(Path(folder) / "run" / "measurement.json")
    figures, worker = measurement.statistics(), measurement.workers[0]
    if measurement.machine.gpu is None:
        raise SystemExit("the bare script needs an NVIDIA GPU")
    if figures is None:
        raise SystemExit(measurement.verdict.reason)
    return figures.elapsed_s[0], worker.cpu_cores_planned[0], measurement.cell.model


def run_bare(core: int, times: int, model: str) -> float:
    """Elapsed seconds of the bare script on the same core."""
    from mps_experiments.workloads.inputs import sample_photo

    with tempfile.TemporaryDirectory() as empty:
        result = subprocess.run(
            [sys.executable, "-c", BARE, str(core), str(sample_photo()), str(times), model],
            env=os.environ | {"CUDA_MPS_PIPE_DIRECTORY": empty},
            check=True,
            capture_output=True,
            text=True,
        )
    return float(result.stdout)


def main() -> None:
    """Alternate the two, print both and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", default="maskrcnn")
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    workers, scripts = [], []
    for _ in range(args.rounds):
        elapsed, core, model = run_worker(args.workload, args.times)
        workers.append(elapsed)
        scripts.append(run_bare(core, args.times, model))
    ratio = statistics.median(workers) / statistics.median(scripts)
    for name, values in (("one worker", workers), ("bare script", scripts)):
        sys.stdout.write(
            f"{name}: median {statistics.median(values):.3f} s of {[round(v, 3) for v in values]}\n"
        )
    sys.stdout.write(f"worker / bare script = {ratio:.3f}\n")
    if args.json:
        args.json.write_text(json.dumps({"worker_s": workers, "bare_s": scripts, "ratio": ratio}))


if __name__ == "__main__":
    main()
