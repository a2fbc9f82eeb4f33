"""What every node of the package has in common: its life, and the process it lives in."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.logging import get_logger

from llia_ros.nodes.declaration import NodeParameters, ParameterError, declare
from llia_ros.nodes.diagnostics import Diagnostics

P = TypeVar('P', bound=NodeParameters)

# What a node may meet in its environment, told in one line; anything else is our own mistake
# and deserves its traceback.
EXPECTED = (ValueError, OSError, ImportError, RuntimeError)


class FaceNode(LifecycleNode, Generic[P]):
    """A lifecycle node whose topics live from activation to deactivation.

    A node of the package fills in `configure` (load, open; raise for what is missing),
    `activate` (topics by `listen`, `offer`, `serve`; start threads), `deactivate` (stop
    threads) and `cleanup`, and tells about itself in `report`.
    """

    def __init__(self, name: str, parameters: type[P], **options: Any) -> None:
        super().__init__(name, **options)
        self.parameters = declare(self, parameters)
        self.diagnostics = Diagnostics(self, self._report)
        self._topics: list[tuple[Callable[[Any], Any], Any]] = []
        self._life = 'unconfigured'
        self._failure = ''

    def configure(self) -> None:
        """Get everything that may be missing: files, devices, models."""

    def activate(self) -> None:
        """Make topics, start threads."""

    def deactivate(self) -> None:
        """Stop threads; the topics go by themselves."""

    def cleanup(self) -> None:
        """Let go of what `configure` got."""

    def report(self) -> tuple[str, str, dict[str, Any]]:
        """Level, summary and values for /diagnostics while the node is active."""
        return 'ok', 'running', {}

    def now(self) -> int:
        """ROS time in nanoseconds."""
        return int(self.get_clock().now().nanoseconds)

    def tell(self, line: str) -> None:
        """Log a line, unless the process was told to end while its node was busy."""
        if self.context.ok():
            self.get_logger().info(line)

    # ---- topics of an active node

    def listen(
        self, message_type: type, topic: str, callback: Callable[[Any], None], qos: Any
    ) -> Any:
        """Subscribe; a ValueError of the callback drops its message and is counted."""

        def guarded(message: Any) -> None:
            try:
                callback(message)
            except ValueError as error:
                self.diagnostics.dropped(topic, error)

        subscription = self.create_subscription(message_type, topic, guarded, qos)
        self._topics.append((self.destroy_subscription, subscription))
        return subscription

    def offer(self, message_type: type, topic: str, qos: Any) -> Any:
        """Make a publisher."""
        publisher = self.create_publisher(message_type, topic, qos)
        self._topics.append((self.destroy_publisher, publisher))
        return publisher

    def send(self, publisher: Any, message: Any) -> None:
        """Publish from any thread; silently not when the process is about to end."""
        try:
            publisher.publish(message)
        except RCLError:
            if self.context.ok():
                raise

    def stop_listening(self, subscription: Any) -> None:
        """End a subscription that `listen` made, before the node is deactivated."""
        self._topics.remove((self.destroy_subscription, subscription))
        self.destroy_subscription(subscription)

    def ask(self, service_type: type, name: str) -> Any:
        """Make a client of a service."""
        client = self.create_client(service_type, name)
        self._topics.append((self.destroy_client, client))
        return client

    def serve(self, service_type: type, name: str, callback: Callable[[Any, Any], Any]) -> Any:
        """Make a service."""
        service = self.create_service(service_type, name, callback)
        self._topics.append((self.destroy_service, service))
        return service

    def every(self, seconds: float, callback: Callable[[], None]) -> Any:
        """Make a timer."""
        timer = self.create_timer(seconds, callback)
        self._topics.append((self.destroy_timer, timer))
        return timer

    # ---- life

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Lifecycle: configure, or fail with one clear line."""
        return self._transition(self.configure, 'inactive')

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Lifecycle: activate."""
        outcome = self._transition(self.activate, 'active')
        if outcome == TransitionCallbackReturn.SUCCESS:
            return super().on_activate(state)
        self._end_topics()
        return outcome

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Lifecycle: deactivate."""
        outcome = self._transition(self._stop, 'inactive')
        super().on_deactivate(state)
        return outcome

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Lifecycle: clean up."""
        return self._transition(self.cleanup, 'unconfigured')

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Lifecycle: stop, from any state."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Lifecycle: after a mistake of our own, begin anew."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def start(self) -> bool:
        """Configure and activate; False where either fails, its reason has been logged."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    @property
    def failure(self) -> str:
        """Why the last transition, or the node's work, failed; empty if it did not."""
        return self._failure

    def fail(self, reason: str) -> None:
        """The node's work cannot go on, told by any thread; ends an autostarted process."""
        if not self.context.ok():
            return
        self._failure = ' '.join(reason.split())
        self.get_logger().error(self._failure)
        if self.parameters.current.autostart:
            self.context.try_shutdown()

    def close(self) -> None:
        """Stop and let go, whatever the state."""
        if self._life == 'active':
            self._transition(self._stop, 'inactive')
        if self._life == 'inactive':
            self._transition(self.cleanup, 'unconfigured')

    def _stop(self) -> None:
        try:
            self.deactivate()
        finally:
            self._end_topics()

    def _end_topics(self) -> None:
        while self._topics:
            destroy, entity = self._topics.pop()
            destroy(entity)

    def _transition(self, step: Callable[[], None], goal: str) -> TransitionCallbackReturn:
        try:
            step()
        except EXPECTED as error:
            if not rclpy.ok(context=self.context):
                return TransitionCallbackReturn.FAILURE
            self._failure = ' '.join(str(error).split()) or type(error).__name__
            self.get_logger().error(self._failure)
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self._failure = 'unexpected error, see the log'
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        self._life, self._failure = goal, ''
        return TransitionCallbackReturn.SUCCESS

    def _report(self) -> tuple[str, str, dict[str, Any]]:
        if self._failure:
            return 'error', self._failure, {'lifecycle': self._life}
        if self._life != 'active':
            return 'stale', self._life, {'lifecycle': self._life}
        level, summary, values = self.report()
        return level, summary, {'lifecycle': self._life, **values}


def run(*node_classes: Callable[[], FaceNode[Any]], args: Sequence[str] | None = None) -> int:
    """Run nodes in this process, on one single-threaded executor, until a signal ends it.

    Returns the exit code: 2 for a parameter out of its limits, 1 where an autostarted node
    could not start, each after one line that says why.
    """
    rclpy.init(args=args)
    executor = SingleThreadedExecutor()
    nodes: list[FaceNode[Any]] = []
    try:
        _warn_of_mixed_installations()
        for node_class in node_classes:
            node = node_class()
            nodes.append(node)
            executor.add_node(node)
        for node in nodes:
            if node.parameters.current.autostart and not node.start():
                return 1 if rclpy.ok() else 0  # not its fault, if a signal came meanwhile
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        if any(node.failure and node.parameters.current.autostart for node in nodes):
            return 1
    except ParameterError as error:
        get_logger('llia_ros').fatal(str(error))
        return 2
    except RCLError:
        if rclpy.ok():
            raise
    finally:
        for node in reversed(nodes):
            node.close()
        executor.shutdown()
        for node in reversed(nodes):
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _warn_of_mixed_installations() -> None:
    from_wheels = '_ROS_WHEELS_BOOTSTRAP_COMPLETE' in os.environ
    if from_wheels and any(path.startswith('/opt/ros') for path in sys.path):
        get_logger('llia_ros').warning(
            'two ROS 2 installations are mixed: the PyPI wheels of this environment and /opt/ros '
            'on PYTHONPATH. Use one: a shell in which /opt/ros is not sourced, or an environment '
            'without the extra [ros]'
        )
