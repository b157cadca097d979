// Where a square may lie in a photo. Nothing here knows the page: tests call these functions by themselves.
//
// A face is {across, down, side}, its middle and its side in whole percents of the photo's width, height and shorter
// side, as the page's sliders tell it. A square is {left, top, side} and a size is {width, height}, in pixels.
const SMALLEST = 10, LARGEST = 150; // percent of the shorter side

const within = (value, low, high) => Math.min(Math.max(value, low), high);
const shorter = size => Math.min(size.width, size.height);

function squareOf(face, size) {
    const side = Math.min(face.side / 100 * shorter(size), Math.max(size.width, size.height));
    return {left: face.across / 100 * size.width - side / 2, top: face.down / 100 * size.height - side / 2, side};
}

// The photo, and beyond it no more than a square takes already: one around a face at the rim may reach out of the photo,
// where it is filled by a mirror, but nobody can push it further out.
function room(square, size) {
    return {
        left: Math.min(0, square.left), right: Math.max(size.width, square.left + square.side),
        top: Math.min(0, square.top), bottom: Math.max(size.height, square.top + square.side),
    };
}

function moved(square, right, down, size) {
    const {left, top, side} = square, free = room(square, size);
    return {
        left: within(left + right, free.left, free.right - side), top: within(top + down, free.top, free.bottom - side), side,
    };
}

// Larger by so many pixels around its middle, which gives way where the photo ends.
function grown(square, by, size) {
    const side = within(square.side + by, SMALLEST / 100 * shorter(size), Math.max(square.side, shorter(size)));
    const half = (square.side - side) / 2, free = room(square, size);
    return {
        left: within(square.left + half, free.left, free.right - side),
        top: within(square.top + half, free.top, free.bottom - side), side,
    };
}

// One corner goes to a place, or as near to it as it can; the opposite one stays. corner: {x, y}, each -1 or 1.
function resized(square, corner, place, size) {
    const {left, top, side} = square, free = room(square, size);
    const fixed = {x: corner.x > 0 ? left : left + side, y: corner.y > 0 ? top : top + side};
    const wanted = Math.max((place.x - fixed.x) * corner.x, (place.y - fixed.y) * corner.y);
    const most = Math.min(
        corner.x > 0 ? free.right - fixed.x : fixed.x - free.left, corner.y > 0 ? free.bottom - fixed.y : fixed.y - free.top,
        LARGEST / 100 * shorter(size),
    );
    const now = Math.min(Math.max(wanted, SMALLEST / 100 * shorter(size)), most);
    return {left: corner.x > 0 ? left : fixed.x - now, top: corner.y > 0 ? top : fixed.y - now, side: now};
}

// The nearest face in whole percents that does not reach further out of the photo than the square.
function faceOf(square, size) {
    const tiny = 1e-6, free = room(square, size);
    const percent = Math.max(SMALLEST, Math.floor(100 * square.side / shorter(size) + tiny));
    const half = percent / 200 * shorter(size);
    const middle = (start, length, low, high) => within(
        Math.round(100 * (start + square.side / 2) / length),
        Math.ceil(100 * (low + half) / length - tiny), Math.floor(100 * (high - half) / length + tiny),
    );
    return {
        across: middle(square.left, size.width, free.left, free.right),
        down: middle(square.top, size.height, free.top, free.bottom),
        side: percent,
    };
}

// Whether a place {x, y} lies in a square.
function holds(square, place) {
    const {left, top, side} = square;
    return place.x >= left && place.x <= left + side && place.y >= top && place.y <= top + side;
}
