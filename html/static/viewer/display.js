// SPDX-License-Identifier: AGPL-3.0-or-later
// One connection to a display, on noVNC's core. Events:
//   painted  the first picture is there
//   closed   it is over: {wasPainted, byServer} (byServer: the server closed it; otherwise the network or a server broke)
//   copied   the machine has copied a text: {text}

import RFB from "../../novnc/core/rfb.js";
import Deflator from "../../novnc/core/deflator.js";
import { t } from "../words.js";
import { layouts, keysFor } from "./layouts.js";
import { place } from "./ask.js";

const NORMAL_CLOSURE = 1000; // RFC 6455, 7.4.1
const PAINT_CHECK_MS = 50;
const SETTLED_MS = 1000;  // after a change of the machine's own
const ASK_SIZE_MAX = 8;   // times
const ASK_PIXEL = new Uint8Array([3, 0, 0, 0, 0, 0, 0, 1, 0, 1]); // FramebufferUpdateRequest (RFC 6143, 7.5.3), all anew
const QUALITY_FIRST = -32, QUALITY_LAST = -23; // rfbproto, "JPEG Quality Level Pseudo-encoding"

// Quality counts for servers that may lose detail; without a level none may.
const LINES = {
    sharp: { quality: null, compression: 2 },
    balanced: { quality: 6, compression: 6 },
    light: { quality: 1, compression: 9 },
};

// X's keysyms (X11/keysymdef.h) of keys that make no character.
const KEYSYMS = {
    Backspace: 0xff08, Tab: 0xff09, Enter: 0xff0d, Escape: 0xff1b, Insert: 0xff63, Delete: 0xffff, Home: 0xff50, End: 0xff57,
    PageUp: 0xff55, PageDown: 0xff56, ArrowLeft: 0xff51, ArrowUp: 0xff52, ArrowRight: 0xff53, ArrowDown: 0xff54,
    PrintScreen: 0xff61, ContextMenu: 0xff67, ShiftLeft: 0xffe1, ControlLeft: 0xffe3, AltLeft: 0xffe9, AltRight: 0xfe03, MetaLeft: 0xffeb,
};
for (let number = 1; number <= 12; number++)
    KEYSYMS[`F${number}`] = 0xffbd + number;

const keysymOf = (sign) => (sign.codePointAt(0) < 0x100 ? sign.codePointAt(0) : 0x1000000 + sign.codePointAt(0));

// noVNC always asks for a quality level, by which the server may lose detail.
let asksQuality = false;
const sendEncodings = RFB.messages.clientEncodings;
RFB.messages.clientEncodings = (socket, encodings) => sendEncodings(socket, asksQuality ? encodings
    : encodings.filter((code) => code < QUALITY_FIRST || code > QUALITY_LAST));

// QEMU hands a text on as it comes. With line ends and a zero at its end as rfbproto wants them ("Extended Clipboard
// Pseudo-Encoding"), which noVNC sends, each line would end twice in a machine.
const TEXT = 1, PROVIDE = 1 << 28;
RFB.messages.extendedClipboardProvide = (socket, formats, [text]) => {
    const bytes = new TextEncoder().encode(text.replaceAll("\r\n", "\n"));
    const plain = new Uint8Array(4 + bytes.length);
    new DataView(plain.buffer).setUint32(0, bytes.length);
    plain.set(bytes, 4);
    const deflated = new Deflator().deflate(plain);
    const message = new Uint8Array(4 + deflated.length);
    new DataView(message.buffer).setUint32(0, PROVIDE | TEXT);
    message.set(deflated, 4);
    RFB.messages.clientCutText(socket, message, true);
};

// Web servers log addresses. Those that can take the token as a subprotocol, beside the one that websockify speaks.
function openSocket(token) {
    const address = new URL(place.socket, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    if (place.tokenInProtocol !== undefined)
        return new WebSocket(address.href, ["binary", `qwd.token.${token}`]);
    address.searchParams.set("token", token);
    return new WebSocket(address.href, []);
}

export class Display extends EventTarget {
    constructor(target, token, role) {
        super();
        this.isControl = role === "control";
        this.isPainted = false;
        this.byServer = false;
        this.heard = 0; // messages
        this.heardAt = performance.now();
        this.socket = openSocket(token);
        this.socket.addEventListener("message", () => {
            this.heard++;
            this.heardAt = performance.now();
        });
        this.socket.addEventListener("close", (event) => {
            this.byServer = event.code === NORMAL_CLOSURE;
        });
        this.rfb = new RFB(target, this.socket, { shared: true });
        this.rfb.viewOnly = !this.isControl;
        this.rfb.background = "";
        this.rfb.addEventListener("connect", () => this.waitForPicture(target));
        this.rfb.addEventListener("disconnect", () => this.end());
        this.rfb.addEventListener("clipboard", ({ detail }) => this.tell("copied", { text: detail.text }));
    }

    tell(name, detail = {}) {
        this.dispatchEvent(new CustomEvent(name, { detail }));
    }

    end() {
        if (this.isOver)
            return;
        clearTimeout(this.paintTimer);
        this.isOver = true;
        this.tell("closed", { wasPainted: this.isPainted, byServer: this.byServer });
    }

    // At once: a server that cannot be reached would not say goodbye.
    close() {
        if (this.isOver)
            return;
        this.rfb.disconnect();
        this.end();
    }

    // --- the line ---

    // Milliseconds since anything came.
    get quiet() {
        return performance.now() - this.heardAt;
    }

    // Asks the server for a pixel. Resolves to whether anything comes within that time; not when it is over before.
    answers(ms) {
        return new Promise((resolve) => {
            const timer = ms === Infinity ? 0 : setTimeout(resolve, ms, false);
            const tell = (isHeard) => {
                clearTimeout(timer);
                resolve(isHeard);
            };
            this.socket.addEventListener("message", () => tell(true), { once: true });
            this.addEventListener("closed", () => tell(false), { once: true });
            if (this.isOver)
                tell(false);
            else if (this.canvas && this.socket.readyState === WebSocket.OPEN)
                this.socket.send(ASK_PIXEL);
        });
    }

    // The canvas is transparent until the first picture has come. A pixel of it is looked at in another one: reading
    // from the canvas itself would make browsers keep it out of the graphics card.
    waitForPicture(target) {
        const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        this.canvas = target.querySelector("canvas");
        this.canvas.tabIndex = 0;
        this.followUntilTaken(target);
        this.canvas.addEventListener("blur", () => this.releaseKeys());
        const look = () => {
            const { width, height } = this.canvas;
            if (width && height)
                probe.drawImage(this.canvas, width >> 1, height >> 1, 1, 1, 0, 0, 1, 1);
            if (probe.getImageData(0, 0, 1, 1).data[3] > 0) {
                this.isPainted = true;
                this.tell("painted");
            } else {
                this.paintTimer = setTimeout(look, PAINT_CHECK_MS);
            }
        };
        look();
    }

    // Keys that are down when the page takes the keyboard back would stay down: noVNC lets go of them when the window
    // loses it.
    releaseKeys() {
        window.dispatchEvent(new Event("blur"));
    }

    focus() {
        this.rfb.focus();
    }

    // Whether a touch of the picture brings the keyboard there: not while a phone's own is shown, which would go.
    takeFocus(isWanted) {
        this.rfb.focusOnClick = isWanted;
    }

    setName(name) {
        if (!this.canvas)
            return;
        this.canvas.setAttribute("role", "application");
        this.canvas.setAttribute("aria-label", t("Screen of [name]. Ctrl+Alt+Shift+M opens the controls.", { name }));
    }

    // --- picture ---

    setSize(size) {
        this.rfb.scaleViewport = size !== "real";
        this.rfb.resizeSession = size === "follow" && this.isControl;
    }

    // A machine that is still booting refuses our size; asked again when it changes its own, it takes it. Only until it
    // has had it once: two viewers would otherwise never agree.
    followUntilTaken(target) {
        let asked = 0;
        const observer = new MutationObserver(() => {
            const isTaken = this.canvas.width === target.clientWidth && this.canvas.height === target.clientHeight;
            if (isTaken || this.isOver || ++asked > ASK_SIZE_MAX)
                observer.disconnect();
            else if (this.rfb.resizeSession)
                setTimeout(() => this.askSize(), SETTLED_MS);
        });
        observer.observe(this.canvas, { attributeFilter: ["width", "height"] });
    }

    askSize() {
        if (!this.isOver && this.rfb.resizeSession)
            this.rfb.resizeSession = true; // noVNC asks whenever it is set
    }

    setLine(line) {
        const { quality, compression } = LINES[line] ?? LINES.sharp;
        asksQuality = quality !== null;
        // A level that differs makes noVNC tell the server all over.
        this.rfb.qualityLevel = quality === null ? 9 : quality;
        this.rfb.compressionLevel = compression;
    }

    // --- keys ---

    key(code, isDown) {
        this.rfb.sendKey(KEYSYMS[code] ?? 0, code, isDown);
    }

    press(code) {
        this.key(code, true);
        this.key(code, false);
    }

    chord(codes) {
        codes.forEach((code) => this.key(code, true));
        [...codes].reverse().forEach((code) => this.key(code, false));
    }

    // Types a character with the keys of the machine's keyboard, and says how many keys went down. None when that has no
    // key for it; then the server gets the character's name, and may know better.
    type(sign, layout) {
        const chords = (keysFor(sign, layout) ?? []).map(({ code, shift, altGr }) =>
            [...(shift ? ["ShiftLeft"] : []), ...(altGr ? ["AltRight"] : []), code]);
        if (!chords.length)
            this.rfb.sendKey(keysymOf(sign), null);
        chords.forEach((codes) => this.chord(codes));
        return chords.flat().length;
    }

    // --- clipboard ---

    offer(text) {
        this.rfb.clipboardPasteFrom(text);
    }
}

export { layouts };
