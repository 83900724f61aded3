using System.Globalization;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>
/// Cuts a file into the texts of its rows, without keeping more of it than one row. The usual form is JSON lines, one row on each line.
/// Where the beginning shows it, the file is one JSON array, or objects that are spread over lines (pretty-printed).
/// </summary>
internal sealed class JsonRowText : IDisposable
{
    private const int FirstBuffer = 64 * 1024, LargestBuffer = 1 << 30;

    private readonly string _path;
    private readonly FileStream _file;
    private byte[] _buffer = new byte[FirstBuffer];
    private int _start;
    private int _end;
    private long _next = 1;                 // the number of the line at _start
    private Form? _form;
    private bool _begun;                    // the array's bracket was read
    private bool _ended;                    // and the one that closes it

    public JsonRowText(string path)
    {
        if (OperatingSystem.IsLinux() && File.Exists(path) && FileStatus.IsNoFile(path))
        {
            throw new InvalidDataException(
                $"'{path}' is a pipe or a device, and rows are read more than once. Write them to a file, and name that.");
        }

        _path = path;
        _file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
    }

    private enum Form
    {
        Lines,
        Array,
        Objects,
    }

    /// <summary>The line on which the current row begins, counted from 1.</summary>
    public long Line { get; private set; }

    /// <summary>Whether a row ends with its line.</summary>
    public bool IsLines => _form == Form.Lines;

    /// <summary>The next row; false at the end of the file. The text stays valid until the next call.</summary>
    /// <exception cref="InvalidDataException">The file is of another kind, or an array or an object in it is not closed.</exception>
    public bool TryRead(out ReadOnlyMemory<byte> text)
    {
        switch (_form ??= FindForm())
        {
            case Form.Lines:
                return TryReadLine(out text);
            case Form.Array when !ReadToElement():
            case Form.Objects when Peek() is null:
                text = default;
                return false;
            default:
                int length = ValueLength();
                text = _buffer.AsMemory(_start, length);
                _next += text.Span.Count((byte)'\n');
                _start += length;
                return true;
        }
    }

    public InvalidDataException Error(string what, Exception? cause = null) =>
        new(string.Create(CultureInfo.InvariantCulture, $"'{_path}', line {Line}: {what}."), cause);

    public void Dispose() => _file.Dispose();

    private Form FindForm()
    {
        while (_end < FirstBuffer && Fill())
        {
        }

        if (DataFileKind.Describe(_buffer.AsSpan(0, _end)) is { } other)
        {
            throw new InvalidDataException($"'{_path}' does not hold JSON. {other}.");
        }

        _start = _end - Utf8Text.WithoutMark(_buffer.AsSpan(0, _end)).Length;
        ReadOnlySpan<byte> text = _buffer.AsSpan(_start, _end - _start).TrimStart(" \t\r\n"u8);
        int line = text.IndexOf((byte)'\n');
        ReadOnlySpan<byte> second = line < 0 ? [] : text[line..].TrimStart(" \t\r\n"u8);
        return text is [(byte)'[', ..] ? Form.Array
            : text is [(byte)'{', ..] && second is [(byte)'"' or (byte)'}', ..] ? Form.Objects
            : Form.Lines;
    }

    private bool TryReadLine(out ReadOnlyMemory<byte> text)
    {
        while (_start < _end || Fill())
        {
            int length = LineLength();
            text = _buffer.AsMemory(_start, length);
            Line = _next++;
            _start = Math.Min(_start + length + 1, _end);
            if (text.Span.IndexOfAnyExcept(" \t\r"u8) >= 0)
            {
                return true;
            }
        }

        text = default;
        return false;
    }

    /// <summary>To the line feed, or to the end of the file.</summary>
    private int LineLength()
    {
        for (int seen = 0; ;)
        {
            int at = _buffer.AsSpan(_start + seen, _end - _start - seen).IndexOf((byte)'\n');
            if (at >= 0)
            {
                return seen + at;
            }

            seen = _end - _start;
            if (!Fill())
            {
                return seen;
            }
        }
    }

    /// <summary>Moves to where an element of the array begins; false at its end, behind which nothing may stand.</summary>
    private bool ReadToElement()
    {
        byte? next = Peek();
        if (!_ended)
        {
            bool separated = !_begun || next == ',';
            next = separated ? Take() : next;
            _begun = true;
            _ended = next == ']';
            if (!_ended)
            {
                return next is not null && separated ? true : throw Error(next is null
                    ? "the file ends inside of its JSON array: it was cut short. Fetch or write it again"
                    : "there is no comma between two elements of the JSON array. Correct the file");
            }

            next = Take();
        }

        return next is null ? false : throw Error(
            "there is text behind the end of the JSON array. A file holds one array, or one JSON object on each line");
    }

    /// <summary>The next byte that is no white space, left where it is; null at the end of the file.</summary>
    private byte? Peek()
    {
        for (; _start < _end || Fill(); _start++)
        {
            byte next = _buffer[_start];
            if (!IsSpace(next))
            {
                Line = _next;
                return next;
            }

            _next += next == '\n' ? 1 : 0;
        }

        return null;
    }

    /// <summary>Skips the byte that <see cref="Peek"/> gave, and peeks again.</summary>
    private byte? Take()
    {
        _start++;
        return Peek();
    }

    /// <summary>The length of the value at the beginning: to the bracket that closes it, or to what ends a number or a word.</summary>
    private int ValueLength()
    {
        int depth = 0;
        bool quoted = false, escaped = false;
        for (int at = 0; ; at++)
        {
            if (_start + at == _end && !Fill())
            {
                return depth == 0 && !quoted ? at : throw Error(
                    "what begins here has no end: a brace, a bracket or a quotation mark is not closed. Correct the file, or fetch it " +
                    "again if it was cut short");
            }

            byte next = _buffer[_start + at];
            if (quoted)
            {
                quoted = escaped || next != '"';
                escaped = !escaped && next == '\\';
            }
            else if (depth == 0 && at > 0 && (IsSpace(next) || next is (byte)',' or (byte)']'))
            {
                return at;
            }
            else if (next is (byte)'}' or (byte)']' && --depth <= 0)
            {
                return at + 1;
            }
            else
            {
                depth += next is (byte)'{' or (byte)'[' ? 1 : 0;
                quoted = next == '"';
            }
        }
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n';

    private bool Fill()
    {
        bool full = _start == 0 && _end == _buffer.Length;
        if (full && _buffer.Length == LargestBuffer)
        {
            throw Error($"a row is longer than {LargestBuffer} bytes. Look for a brace or a quotation mark that is not closed");
        }

        byte[] next = full ? new byte[2 * _buffer.Length] : _buffer;
        Buffer.BlockCopy(_buffer, _start, next, 0, _end - _start);
        (_buffer, _start, _end) = (next, 0, _end - _start);
        int read = _file.Read(_buffer, _end, _buffer.Length - _end);
        _end += read;
        return read > 0;
    }
}
