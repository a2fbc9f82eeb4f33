"""Starts a browser that shows nothing but the page: `kiosk_browser URL --browser firefox`.

It waits until the page is served, for at boot a browser is there first, then becomes the browser:
whoever started it sees the browser's end as its own.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

# Commands by which distributions know the browsers.
COMMANDS = {
    'chromium': ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'),
    'firefox': ('firefox-esr', 'firefox'),
}
CHROMIUM_FLAGS = (
    '--kiosk',
    '--autoplay-policy=no-user-gesture-required',
    '--no-first-run',
    '--noerrdialogs',
    '--hide-crash-restore-bubble',
    '--password-store=basic',
    '--disable-pinch',
    '--overscroll-history-navigation=0',
    '--disable-features=Translate',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)
# What would come between the face and who looks at it: questions, pages of welcome, a start in
# safe mode after three hard ends.
FIREFOX_PREFERENCES = {
    'apz.allow_zooming': False,
    'app.update.auto': False,
    'browser.aboutwelcome.enabled': False,
    'browser.sessionstore.resume_from_crash': False,
    'browser.shell.checkDefaultBrowser': False,
    'browser.startup.homepage_override.mstone': 'ignore',
    'browser.translations.automaticallyPopup': False,
    'datareporting.policy.dataSubmissionEnabled': False,
    'full-screen-api.warning.timeout': 0,
    'toolkit.startup.max_resumed_crashes': -1,
}
# Seconds between two looks whether the page is served.
AGAIN = 0.1


def firefox_preferences(sound: bool = True) -> str:
    """The profile's user.js; `sound`: may a page play some before anybody has tapped it?"""
    values = {**FIREFOX_PREFERENCES, 'media.autoplay.default': 0 if sound else 1}
    values['media.autoplay.blocking_policy'] = 0

    def literal(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')

    return ''.join(f'user_pref("{key}", {literal(value)});\n' for key, value in values.items())


def command(browser: str, url: str, profile: Path, flags: Sequence[str] = ()) -> list[str]:
    """What starts `browser` (of COMMANDS) full screen on `url`, with a profile of its own.

    The profile's folder is made. Raises ValueError where the browser is not installed.
    """
    found = next(filter(None, map(shutil.which, COMMANDS[browser])), None)
    if found is None:
        raise ValueError(
            f'{browser} is not on the PATH ({", ".join(COMMANDS[browser])}): install it, or '
            'choose another --browser'
        )
    profile.mkdir(parents=True, exist_ok=True)
    if browser == 'firefox':
        (profile / 'user.js').write_text(firefox_preferences())
        return [found, '--no-remote', '--profile', str(profile), *flags, '--kiosk', url]
    return [found, *CHROMIUM_FLAGS, f'--user-data-dir={profile}', *flags, url]


def wait_for(url: str) -> None:
    """Return once something answers at `url`, be it by refusing."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(AGAIN)


def default_profile(browser: str) -> Path:
    """A folder of the user's for the browser's settings, apart from those of daily use."""
    state = os.environ.get('XDG_STATE_HOME') or Path.home() / '.local' / 'state'
    return Path(state) / 'llia_ros' / browser


def main(argv: Sequence[str] | None = None) -> int:
    """Console script `kiosk_browser`; 2 and one clear line for a browser that is not there."""
    parser = argparse.ArgumentParser(
        prog='kiosk_browser', description='Show a page full screen, once it is served.'
    )
    parser.add_argument('url', help='of the page')
    parser.add_argument('--browser', choices=tuple(COMMANDS), default='chromium')
    parser.add_argument('--profile', type=Path, help="the browser's own folder of settings")
    parser.add_argument('--flags', default='', help='more flags of the browser, as in a shell')
    given = list(sys.argv[1:] if argv is None else argv)
    # A launch file adds what only nodes know.
    if '--ros-args' in given:
        del given[given.index('--ros-args') :]
    args = parser.parse_args(given)
    try:
        profile = args.profile or default_profile(args.browser)
        wanted = command(args.browser, args.url, profile, shlex.split(args.flags))
    except (ValueError, OSError) as error:
        print(f'kiosk_browser: {error}', file=sys.stderr)
        return 2
    wait_for(args.url)
    os.execv(wanted[0], wanted)


if __name__ == '__main__':
    sys.exit(main())
