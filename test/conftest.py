"""What tests share: a ROS graph of their own, the real console scripts, sounds, PulseAudio.

Tests run in two processes at once (pytest-xdist), each with a ROS graph of its own; those that
judge the time that passes are marked `alone`, and no other test runs beside them.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RUN = os.environ.get('PYTEST_XDIST_TESTRUNUID')  # where tests run in several processes


class Domain:
    """A ROS domain that no other tests of this machine are in, as long as this object lives."""

    def __init__(self) -> None:
        # `llia demo` takes 30 to 89; above 101 its ports are those that the system gives away.
        numbers = [*range(1, 30), *range(90, 102)]
        first = os.getpid() % len(numbers)
        for number in numbers[first:] + numbers[:first]:
            mark = Path(tempfile.gettempdir()) / f'llia_ros_test_domain_{number}'
            try:
                self._mark = mark.open('w')
                fcntl.flock(self._mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # somebody else is in it, or its mark is another user's
                continue
            self.number = number
            return
        raise RuntimeError('tests run in every ROS domain: wait until some have ended')


DOMAIN = Domain()
if RUN:
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # torch's: there are as many workers as cores

# Before rclpy is imported by anybody: a graph that nobody else is in.
os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_DOMAIN_ID'] = str(DOMAIN.number)
os.environ['ROS_LOG_DIR'] = tempfile.mkdtemp(prefix='llia_ros_test_')

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import soundfile  # noqa: E402

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sysconfig.get_path('scripts'))
PATIENCE = 30.0
ANSWER = 5.0


@contextmanager
def beside_others(alone: bool) -> Iterator[None]:
    """Hold back the other processes' tests while a test runs `alone`, and the other way round."""
    if not RUN:
        yield
        return
    place = Path(tempfile.gettempdir())
    # Whoever waits to be alone holds the door, so that no others come in meanwhile.
    with (
        (place / f'llia_ros_test_door_{RUN}').open('w') as door,
        (place / f'llia_ros_test_room_{RUN}').open('w') as room,
    ):
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test, with its fixtures, alone where it is so marked."""
    with beside_others(item.get_closest_marker('alone') is not None):
        yield


def until(condition: Callable[[], Any], seconds: float = PATIENCE, step: float = 0.02) -> Any:
    """Wait for a condition to hold; fails the test if it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f'waited {seconds} s in vain'
        time.sleep(step)
    return value


class Probe:
    """A plain node that listens, says and calls: what a user's own node would see."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('probe', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._publishers: dict[str, Any] = {}

    def add(self, node: Any) -> None:
        """Spin another node of this process, too."""
        self.executor.add_node(node)

    def hear(self, kind: Any, topic: str, qos: Any = 10) -> list[tuple[float, Any]]:
        """Collect (arrival by time.monotonic(), message) of a topic."""
        heard: list[tuple[float, Any]] = []
        self.node.create_subscription(
            kind, topic, lambda message: heard.append((time.monotonic(), message)), qos
        )
        return heard

    def say(self, topic: str, message: Any, qos: Any = 10, listeners: int = 1) -> None:
        """Publish, the first time once so many listen."""
        self.announce(topic, type(message), qos, listeners)
        self._publishers[topic].publish(message)

    def announce(self, topic: str, kind: Any, qos: Any = 10, listeners: int = 1) -> None:
        """Wait until so many listen to what is to be said."""
        if topic not in self._publishers:
            publisher = self.node.create_publisher(kind, topic, qos)
            self._publishers[topic] = publisher
            self.until(lambda: publisher.get_subscription_count() >= listeners)
            # They may know this publisher a little later than it knows them.
            self.spin(0.2)

    def call(self, kind: Any, name: str, request: Any = None) -> Any:
        """Call a service and return its response.

        A service may be found before its answers find the way back, on a busy machine above
        all: such an answer is lost, so the call is made again after a while.
        """
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready)
        began = time.monotonic()
        calls: list[Any] = []

        def answer() -> Any:
            if time.monotonic() - began >= len(calls) * ANSWER:
                calls.append(client.call_async(request or kind.Request()))
            return next((call for call in calls if call.done()), None)

        answered = self.until(answer)
        self.node.destroy_client(client)
        return answered.result()

    def spin(self, seconds: float) -> None:
        """Receive for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=min(left, 0.1))

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Receive until a condition holds."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f'waited {seconds} s in vain'
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def close(self) -> None:
        """Leave the graph."""
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def probe() -> Iterator[Probe]:
    """A plain node in this test's process."""
    probe = Probe()
    yield probe
    probe.close()


class Process:
    """One of the package's console scripts, running."""

    def __init__(self, arguments: list[str], folder: Path, env: dict[str, str]) -> None:
        self.log = folder / f'{Path(arguments[0]).name}-{time.monotonic_ns()}.log'
        with self.log.open('w') as log:
            self._process = subprocess.Popen(
                arguments, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **env}
            )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text()

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; returns the exit code."""
        return self._process.wait(seconds)

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Ask it to end; returns the exit code."""
        if self.running():
            self._process.send_signal(signal_number)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts console scripts, with ROS parameters, and checks that each ends as it should."""
    started: list[Process] = []

    def start(
        script: str,
        *arguments: str,
        remap: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
        **parameters: Any,
    ) -> Process:
        command = [str(SCRIPTS / script), *arguments]
        ros = []
        for name, value in parameters.items():
            ros += ['-p', f'{name}:={json.dumps(value)}']
        for before, after in (remap or {}).items():
            ros += ['-r', f'{before}:={after}']
        if ros:
            command += ['--ros-args', *ros]
        process = Process(command, tmp_path, env or {})
        started.append(process)
        return process

    yield start
    codes = [(process, process.stop()) for process in reversed(started) if process.running()]
    for process, code in codes:
        assert code == 0, f'{process.log.name} ended with {code}:\n{process.output}'


Speak = Callable[..., Path]


@pytest.fixture(scope='session')
def speak(tmp_path_factory: pytest.TempPathFactory) -> Speak:
    """Makes a wav file of a sentence with espeak-ng."""
    if shutil.which('espeak-ng') is None:
        pytest.skip('espeak-ng is not installed')
    folder = tmp_path_factory.mktemp('speech')

    def speak(text: str, voice: str = 'en', speed: int = 165) -> Path:
        path = folder / f'{abs(hash((text, voice, speed)))}.wav'
        if not path.exists():
            command = ['espeak-ng', '-v', voice, '-s', str(speed), '-w', str(path), text]
            subprocess.run(command, check=True)
        return path

    return speak


@pytest.fixture(scope='session')
def sentence(speak: Speak) -> np.ndarray:
    """A spoken sentence, int16 at 16 kHz, without silence around it."""
    from llia_ros.audio import files

    samples = files.read(
        speak('Hello there, how are you today? I would like to ask you something.')
    )
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 300)
    return samples[loud[0] : loud[-1]]


@pytest.fixture(scope='session')
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A PulseAudio server with a null sink `vmic`; yields the environment to use it in."""
    if shutil.which('pulseaudio') is None or shutil.which('paplay') is None:
        pytest.skip('PulseAudio is not installed')
    folder = tmp_path_factory.mktemp('pulse')
    folder.chmod(0o700)
    env = {
        'XDG_RUNTIME_DIR': str(folder),
        'PULSE_SERVER': f'unix:{folder}/socket',
        'HOME': str(folder),
    }
    modules = [
        f'module-native-protocol-unix auth-anonymous=1 socket={folder}/socket',
        'module-null-sink sink_name=vmic rate=16000 channels=1',
    ]
    command = ['pulseaudio', '-n', '--daemonize=no', '--exit-idle-time=-1', '--use-pid-file=no']
    for module in modules:
        command += ['-L', module]
    log = (folder / 'log').open('w')
    server = subprocess.Popen(command, env={**os.environ, **env}, stdout=log, stderr=log)

    def answers() -> bool:
        done = subprocess.run(['pactl', 'info'], env={**os.environ, **env}, capture_output=True)
        return done.returncode == 0

    until(answers, step=0.2)
    yield env
    server.terminate()
    server.wait()
    log.close()


def write_sound(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    """Write int16 samples as a wav file."""
    soundfile.write(path, samples, rate, subtype='PCM_16')
    return path
