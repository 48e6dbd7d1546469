//! Names of HTML that script hides behind.
//!
//! All in upper case and sorted, so that they are found by halving.

use super::html::Danger;

/// What is behind `on` in the names of events. A name counts that begins with one of these, so that
/// none of them begins with another.
const EVENTS: &[&str] = &[
    "ABORT",
    "ACTIVATE",
    "ACTIVE",
    "ADDSOURCEBUFFER",
    "ADDSTREAM",
    "ADDTRACK",
    "AFTERPRINT",
    "ANIMATIONCANCEL",
    "ANIMATIONEND",
    "ANIMATIONITERATION",
    "ANIMATIONSTART",
    "AUDIOEND",
    "AUDIOPROCESS",
    "AUDIOSTART",
    "AUTOCOMPLETE",
    "BEFOREACTIVATE",
    "BEFORECOPY",
    "BEFORECUT",
    "BEFOREINPUT",
    "BEFORELOAD",
    "BEFOREPASTE",
    "BEFOREPRINT",
    "BEFOREUNLOAD",
    "BEGINEVENT",
    "BLOCKED",
    "BLUR",
    "BOUNDARY",
    "BUFFEREDAMOUNTLOW",
    "CACHED",
    "CANCEL",
    "CANPLAY",
    "CHANGE",
    "CHARGINGCHANGE",
    "CHARGINGTIMECHANGE",
    "CHECKING",
    "CLICK",
    "CLOSE",
    "COMPLETE",
    "COMPOSITIONEND",
    "COMPOSITIONSTART",
    "COMPOSITIONUPDATE",
    "CONNECT",
    "CONTEXTMENU",
    "CONTROLLERCHANGE",
    "COPY",
    "CUECHANGE",
    "CUT",
    "DATAAVAILABLE",
    "DATACHANNEL",
    "DBLCLICK",
    "DEVICECHANGE",
    "DEVICEMOTION",
    "DEVICEORIENTATION",
    "DISCHARGINGTIMECHANGE",
    "DISCONNECT",
    "DOMACTIVATE",
    "DOMCHARACTERDATAMODIFIED",
    "DOMCONTENTLOADED",
    "DOMFOCUSIN",
    "DOMFOCUSOUT",
    "DOMNODEINSERTED",
    "DOMNODEREMOVED",
    "DOMSUBTREEMODIFIED",
    "DOWNLOADING",
    "DRAG",
    "DROP",
    "DURATIONCHANGE",
    "EMPTIED",
    "ENCRYPTED",
    "END",
    "ENTER",
    "ERROR",
    "EXIT",
    "FETCH",
    "FINISH",
    "FOCUS",
    "FORMCHANGE",
    "FORMINPUT",
    "GAMEPADCONNECTED",
    "GAMEPADDISCONNECTED",
    "GESTURECHANGE",
    "GESTUREEND",
    "GESTURESCROLLEND",
    "GESTURESCROLLSTART",
    "GESTURESCROLLUPDATE",
    "GESTURESTART",
    "GESTURETAP",
    "GOTPOINTERCAPTURE",
    "HASHCHANGE",
    "ICECANDIDATE",
    "ICECONNECTIONSTATECHANGE",
    "ICEGATHERINGSTATECHANGE",
    "INACTIVE",
    "INPUT",
    "INSTALL",
    "INVALID",
    "KEYDOWN",
    "KEYPRESS",
    "KEYSTATUSESCHANGE",
    "KEYUP",
    "LANGUAGECHANGE",
    "LEAVEPICTUREINPICTURE",
    "LEVELCHANGE",
    "LOAD",
    "LOSTPOINTERCAPTURE",
    "MARK",
    "MERCHANTVALIDATION",
    "MESSAGE",
    "MOUSEDOWN",
    "MOUSEENTER",
    "MOUSELEAVE",
    "MOUSEMOVE",
    "MOUSEOUT",
    "MOUSEOVER",
    "MOUSEUP",
    "MOUSEWHEEL",
    "MUTE",
    "NEGOTIATIONNEEDED",
    "NEXTTRACK",
    "NOMATCH",
    "NOUPDATE",
    "OBSOLETE",
    "OFFLINE",
    "ONLINE",
    "OPEN",
    "ORIENTATIONCHANGE",
    "OVERCONSTRAINED",
    "OVERFLOWCHANGED",
    "PAGEHIDE",
    "PAGESHOW",
    "PASTE",
    "PAUSE",
    "PAYERDETAILCHANGE",
    "PAYMENTAUTHORIZED",
    "PAYMENTMETHODCHANGE",
    "PAYMENTMETHODSELECTED",
    "PLAY",
    "POINTERCANCEL",
    "POINTERDOWN",
    "POINTERENTER",
    "POINTERLEAVE",
    "POINTERLOCKCHANGE",
    "POINTERLOCKERROR",
    "POINTERMOVE",
    "POINTEROUT",
    "POINTEROVER",
    "POINTERUP",
    "POPSTATE",
    "PREVIOUSTRACK",
    "PROCESSORERROR",
    "PROGRESS",
    "PROPERTYCHANGE",
    "RATECHANGE",
    "READYSTATECHANGE",
    "REJECTIONHANDLED",
    "REMOVE",
    "RESET",
    "RESIZE",
    "RESOURCETIMINGBUFFERFULL",
    "RESULT",
    "RESUME",
    "SCROLL",
    "SEARCH",
    "SECURITYPOLICYVIOLATION",
    "SEEKED",
    "SEEKING",
    "SELECT",
    "SHIPPINGADDRESSCHANGE",
    "SHIPPINGCONTACTSELECTED",
    "SHIPPINGMETHODSELECTED",
    "SHIPPINGOPTIONCHANGE",
    "SHOW",
    "SIGNALINGSTATECHANGE",
    "SLOTCHANGE",
    "SOUNDEND",
    "SOUNDSTART",
    "SOURCECLOSE",
    "SOURCEENDED",
    "SOURCEOPEN",
    "SPEECHEND",
    "SPEECHSTART",
    "SQUEEZE",
    "STALLED",
    "START",
    "STATECHANGE",
    "STOP",
    "STORAGE",
    "SUBMIT",
    "SUCCESS",
    "SUSPEND",
    "TEXTINPUT",
    "TIMEOUT",
    "TIMEUPDATE",
    "TOGGLE",
    "TONECHANGE",
    "TOUCHCANCEL",
    "TOUCHEND",
    "TOUCHFORCECHANGE",
    "TOUCHMOVE",
    "TOUCHSTART",
    "TRACK",
    "TRANSITIONCANCEL",
    "TRANSITIONEND",
    "TRANSITIONRUN",
    "TRANSITIONSTART",
    "UNCAPTUREDERROR",
    "UNHANDLEDREJECTION",
    "UNLOAD",
    "UNMUTE",
    "UPDATE",
    "UPGRADENEEDED",
    "VALIDATEMERCHANT",
    "VERSIONCHANGE",
    "VISIBILITYCHANGE",
    "VOLUMECHANGE",
    "WAITING",
    "WEBGLCONTEXTCHANGED",
    "WEBGLCONTEXTCREATIONERROR",
    "WEBGLCONTEXTLOST",
    "WEBGLCONTEXTRESTORED",
    "WEBKITANIMATIONEND",
    "WEBKITANIMATIONITERATION",
    "WEBKITANIMATIONSTART",
    "WEBKITBEFORETEXTINSERTED",
    "WEBKITBEGINFULLSCREEN",
    "WEBKITCURRENTPLAYBACKTARGETISWIRELESSCHANGED",
    "WEBKITENDFULLSCREEN",
    "WEBKITFULLSCREENCHANGE",
    "WEBKITFULLSCREENERROR",
    "WEBKITKEYADDED",
    "WEBKITKEYERROR",
    "WEBKITKEYMESSAGE",
    "WEBKITMOUSEFORCECHANGED",
    "WEBKITMOUSEFORCEDOWN",
    "WEBKITMOUSEFORCEUP",
    "WEBKITMOUSEFORCEWILLBEGIN",
    "WEBKITNEEDKEY",
    "WEBKITNETWORKINFOCHANGE",
    "WEBKITPLAYBACKTARGETAVAILABILITYCHANGED",
    "WEBKITPRESENTATIONMODECHANGED",
    "WEBKITREGIONOVERSETCHANGE",
    "WEBKITREMOVESOURCEBUFFER",
    "WEBKITSOURCECLOSE",
    "WEBKITSOURCEENDED",
    "WEBKITSOURCEOPEN",
    "WEBKITSPEECHCHANGE",
    "WEBKITTRANSITIONEND",
    "WEBKITWILLREVEALBOTTOM",
    "WEBKITWILLREVEALLEFT",
    "WEBKITWILLREVEALRIGHT",
    "WEBKITWILLREVEALTOP",
    "WHEEL",
    "WRITE",
    "ZOOM",
];

const TAGS: [&str; 20] = [
    "APPLET", "BASE", "COMMENT", "EMBED", "FRAME", "FRAMESET", "HANDLER", "IFRAME", "IMPORT",
    "ISINDEX", "LINK", "LISTENER", "META", "NOSCRIPT", "OBJECT", "SCRIPT", "STYLE", "VMLFRAME",
    "XML", "XSS",
];

const ATTRIBUTES: [(&str, Danger); 20] = [
    ("ACTION", Danger::Url),
    ("ATTRIBUTENAME", Danger::Name),
    ("BACKGROUND", Danger::Url),
    ("BY", Danger::Url),
    ("DATAFORMATAS", Danger::Always),
    ("DATASRC", Danger::Always),
    ("DYNSRC", Danger::Url),
    ("FILTER", Danger::Always),
    ("FOLDER", Danger::Url),
    ("FORMACTION", Danger::Url),
    ("FROM", Danger::Url),
    ("HANDLER", Danger::Url),
    ("HREF", Danger::Url),
    ("LOWSRC", Danger::Url),
    ("POSTER", Danger::Url),
    ("SRC", Danger::Url),
    ("STYLE", Danger::Always),
    ("TO", Danger::Url),
    ("VALUES", Danger::Url),
    ("XLINK:HREF", Danger::Url),
];

/// The longest name that is kept here is shorter.
const NAME_MAX: usize = 48;

/// A name in upper case and without NULs, cut where it is longer than any that is looked for.
struct Folded {
    bytes: [u8; NAME_MAX],
    length: usize,
}

impl Folded {
    fn new(name: &[u8]) -> Self {
        let mut folded = Self { bytes: [0; NAME_MAX], length: 0 };
        for (place, byte) in folded.bytes.iter_mut().zip(name.iter().filter(|&&byte| byte != 0)) {
            *place = byte.to_ascii_uppercase();
            folded.length += 1;
        }
        folded
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Whether a tag of this name brings script with it.
pub(super) fn is_dangerous_tag(name: &[u8]) -> bool {
    let [first, second, third, ..] = name else { return false };
    let start = [first, second, third].map(u8::to_ascii_uppercase);
    if start == *b"SVG" || start == *b"XSL" {
        return true;
    }
    let folded = Folded::new(name);
    TAGS.binary_search_by(|tag| tag.as_bytes().cmp(folded.as_bytes())).is_ok()
}

/// What an attribute of this name makes of its value.
pub(super) fn danger(name: &[u8]) -> Danger {
    if name.len() < 2 {
        return Danger::None;
    }
    if name.len() >= 5 && (is_event(name) || is_namespace(name)) {
        return Danger::Always;
    }
    let folded = Folded::new(name);
    let found = ATTRIBUTES.binary_search_by(|(known, _)| known.as_bytes().cmp(folded.as_bytes()));
    found.map_or(Danger::None, |at| ATTRIBUTES[at].1)
}

fn is_event(name: &[u8]) -> bool {
    let Some((on, event)) = name.split_at_checked(2) else { return false };
    if !on.eq_ignore_ascii_case(b"on") {
        return false;
    }
    let mut upper = [0; NAME_MAX];
    let length = event.len().min(NAME_MAX);
    upper[..length].copy_from_slice(&event[..length]);
    upper.make_ascii_uppercase();
    let event = &upper[..length];
    // None begins with another, so that only the last that is not past it can begin it.
    let before = EVENTS.partition_point(|known| known.as_bytes() <= event);
    EVENTS[..before].last().is_some_and(|known| event.starts_with(known.as_bytes()))
}

fn is_namespace(name: &[u8]) -> bool {
    let start = name.get(..5).unwrap_or_default();
    start.eq_ignore_ascii_case(b"XMLNS") || start.eq_ignore_ascii_case(b"XLINK")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_sorted_and_short() {
        assert!(EVENTS.is_sorted() && TAGS.is_sorted() && ATTRIBUTES.is_sorted_by_key(|a| a.0));
        assert!(EVENTS.windows(2).all(|two| !two[1].starts_with(two[0])));
        let names = EVENTS.iter().chain(&TAGS).chain(ATTRIBUTES.iter().map(|(name, _)| name));
        assert!(names.map(|name| name.len()).max() < Some(NAME_MAX));
    }
}
