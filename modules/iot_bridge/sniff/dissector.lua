-- Shows boardtalk's frames in Wireshark. `boardtalk sniff --dissector` fills in what follows from the wire format.
-- Put it into Wireshark's folder of personal Lua plugins, see Help > About > Folders.

local proto = Proto("boardtalk", "boardtalk frame")
local text = Proto("boardtalk_text", "boardtalk console text")

-- generated

local fields = {
    version = ProtoField.uint8("boardtalk.version", "Version", base.DEC, nil, VERSION_MASK),
    kind = ProtoField.uint8("boardtalk.kind", "Kind", base.DEC, KINDS, KIND_MASK),
    more = ProtoField.bool("boardtalk.more", "More pieces follow", 8, nil, MORE),
    retry = ProtoField.bool("boardtalk.retry", "Repetition", 8, nil, RETRY),
    seq = ProtoField.uint8("boardtalk.seq", "Number"),
    ack = ProtoField.uint8("boardtalk.ack", "Acknowledges all before"),
    node = ProtoField.uint8("boardtalk.node", "Node"),
    type = ProtoField.uint16("boardtalk.type", "Type", base.HEX, TYPES),
    index = ProtoField.uint8("boardtalk.index", "Index in the dictionary"),
    values = ProtoField.bytes("boardtalk.values", "Values"),
    crc = ProtoField.uint32("boardtalk.crc", "CRC-32", base.HEX),
    text = ProtoField.string("boardtalk.text", "Text"),
}
local all = {}
for _, field in pairs(fields) do table.insert(all, field) end
for _, bodies in pairs({ FROM_HOST, FROM_BOARD, BY_KIND }) do
    for _, body in pairs(bodies) do
        for _, field in ipairs(body) do
            field.shown = field.make("boardtalk." .. body.name .. "." .. field.name, field.name)
            table.insert(all, field.shown)
        end
    end
end
proto.fields = all

local function base_of(type)
    if type >= SETPOINT and type < COMMAND then return SETPOINT end
    if type >= COMMAND then return bit.band(type, 0xFF00) end
    return type
end

-- Adds the fields of a body, as far as the payload goes; returns where it goes on.
local function add_body(tree, payload, body, at)
    for _, field in ipairs(body) do
        local left = payload:len() - at
        local size = field.size
        if size == "text" then
            if left < 1 then return at end
            size = 1 + payload(at, 1):uint()
            if left < size then return at end
            tree:add(field.shown, payload(at, size), payload(at + 1, size - 1):string())
        elseif size == "rest" then
            size = left
            if size > 0 then tree:add(field.shown, payload(at, size)) end
        else
            if left < size then return at end
            tree:add_le(field.shown, payload(at, size))
        end
        at = at + size
    end
    return at
end

function proto.dissector(buffer, pinfo, root)
    if buffer:len() < HEADER_BYTES + CRC_BYTES then return 0 end
    local tree = root:add(proto, buffer())
    local control, type = buffer(0, 1), buffer(4, 2):le_uint()
    local kind = bit.rshift(bit.band(control:uint(), KIND_MASK), KIND_SHIFT)
    for _, name in ipairs({ "version", "kind", "more", "retry" }) do tree:add(fields[name], control) end
    tree:add(fields.seq, buffer(1, 1))
    tree:add(fields.ack, buffer(2, 1))
    tree:add(fields.node, buffer(3, 1))
    tree:add_le(fields.type, buffer(4, 2), base_of(type))
    if base_of(type) ~= type or base_of(type) >= COMMAND or type == SETPOINT then
        tree:add(fields.index, buffer(4, 2), type - base_of(type))
    end
    local size = buffer:len() - HEADER_BYTES - CRC_BYTES
    local from_host = pinfo.p2p_dir == 0
    local body = BY_KIND[kind] or (from_host and FROM_HOST or FROM_BOARD)[base_of(type)]
    if size > 0 then
        local payload = buffer(HEADER_BYTES, size):tvb()
        local at = body and add_body(tree, payload, body, 0) or 0
        if at < size then tree:add(fields.values, payload(at)) end
    end
    tree:add_le(fields.crc, buffer(HEADER_BYTES + size, CRC_BYTES))
    pinfo.cols.protocol = "boardtalk"
    pinfo.cols.src = from_host and "gateway" or "board"
    pinfo.cols.dst = from_host and "board" or "gateway"
    local number = kind == DATA and " " .. buffer(1, 1):uint() or ""
    pinfo.cols.info = KINDS[kind] .. number .. " " .. (TYPES[base_of(type)] or string.format("0x%04x", type))
    return buffer:len()
end

function text.dissector(buffer, pinfo, root)
    root:add(text, buffer()):append_text(": " .. buffer():string())
    pinfo.cols.protocol = "boardtalk"
    pinfo.cols.info = buffer():string()
    return buffer:len()
end

local encapsulations = DissectorTable.get("wtap_encap")
encapsulations:add(wtap.USER0, proto)
encapsulations:add(wtap.USER1, text)
