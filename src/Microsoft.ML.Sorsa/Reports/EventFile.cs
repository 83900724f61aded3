using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace Microsoft.ML.Sorsa.Reports;

/// <summary>
/// A file that TensorBoard reads: records of TFRecord, each a message Event of TensorFlow's event.proto. It is written while it is read,
/// a record at a time. Why not with TorchSharp's SummaryWriter: docs/decisions/tensorboard.md.
/// </summary>
internal sealed class EventFile : IDisposable
{
    private const string Prefix = "events.out.tfevents.";

    /// <summary>Field numbers of Event, Summary, Summary.Value and SessionLog.</summary>
    private const int WallTime = 1, Step = 2, FileVersion = 3, Summary = 5, SessionLog = 7, Value = 1, Tag = 1, SimpleValue = 2, Status = 1;

    /// <summary>SessionLog.START.</summary>
    private const int Start = 1;

    private static int s_files;

    private readonly Stream _stream;

    /// <param name="stream">Takes every record at once; owned.</param>
    public EventFile(Stream stream)
    {
        _stream = stream;
        Write(new Message().Add(FileVersion, "brain.Event:2"));
    }

    /// <summary>A new file in a folder, which is made if it is not there.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be made.</exception>
    public static EventFile Create(string folder)
    {
        Directory.CreateDirectory(folder);
        string name = string.Create(CultureInfo.InvariantCulture,
            $"{Prefix}{Second(folder):D10}.{Environment.MachineName}.{Environment.ProcessId}.{Interlocked.Increment(ref s_files)}");

        // Without a buffer, which a full disk would keep from being emptied.
        return new EventFile(
            new FileStream(Path.Combine(folder, name), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0));
    }

    /// <summary>What other files of the folder have at this step and behind it does not count any more.</summary>
    public void WriteStart(int step) => Write(new Message().Add(Step, step).Add(SessionLog, new Message().Add(Status, Start)));

    /// <summary>Numbers of a step, by their names.</summary>
    public void WriteScalars(int step, IEnumerable<(string Name, double Value)> scalars)
    {
        var summary = new Message();
        foreach ((string name, double value) in scalars)
        {
            summary.Add(Value, new Message().Add(Tag, name).Add(SimpleValue, (float)value));
        }

        Write(new Message().Add(Step, step).Add(Summary, summary));
    }

    public void Dispose() => _stream.Dispose();

    /// <summary>
    /// TensorBoard reads the files of a folder in the order of their names, which begin with a second: one behind those that are there.
    /// </summary>
    private static long Second(string folder) => Directory.EnumerateFiles(folder, $"{Prefix}*")
        .Select(path => Path.GetFileName(path)[Prefix.Length..].Split('.')[0])
        .Select(text => text.Length == 10 && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long second)
            ? second + 1
            : 0)
        .Append(DateTimeOffset.UtcNow.ToUnixTimeSeconds())
        .Max();

    /// <summary>Length and content, each with its checksum; all at once, so that a reader does not see half of it for long.</summary>
    private void Write(Message message)
    {
        byte[] content = new Message().Add(WallTime, Seconds()).Append(message).ToArray();
        var record = new byte[content.Length + 16];
        BinaryPrimitives.WriteInt64LittleEndian(record, content.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedChecksum(record.AsSpan(0, 8)));
        content.CopyTo(record, 12);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + content.Length), MaskedChecksum(content));
        _stream.Write(record);
    }

    private static double Seconds() => (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).TotalSeconds;

    /// <summary>CRC-32C, rotated and shifted, since checksums of checksums are none.</summary>
    private static uint MaskedChecksum(ReadOnlySpan<byte> bytes)
    {
        uint checksum = uint.MaxValue;
        foreach (byte value in bytes)
        {
            checksum = BitOperations.Crc32C(checksum, value);
        }

        return unchecked(BitOperations.RotateRight(~checksum, 15) + 0xa282ead8);
    }

    /// <summary>A message in the encoding of protocol buffers: of every field its number with its kind, then its value.</summary>
    private sealed class Message
    {
        private const int Varint = 0, Bits64 = 1, Bytes = 2, Bits32 = 5;

        private readonly List<byte> _bytes = [];

        public Message Add(int field, long value) => Key(field, Varint).Number((ulong)value);

        public Message Add(int field, double value)
        {
            Span<byte> bytes = stackalloc byte[8];
            BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
            return Key(field, Bits64).Raw(bytes);
        }

        public Message Add(int field, float value)
        {
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
            return Key(field, Bits32).Raw(bytes);
        }

        public Message Add(int field, string text) => Sized(field, Encoding.UTF8.GetBytes(text));

        public Message Add(int field, Message message) => Sized(field, message.ToArray());

        public Message Append(Message message) => Raw(message.ToArray());

        public byte[] ToArray() => [.. _bytes];

        private Message Sized(int field, byte[] content) => Key(field, Bytes).Number((ulong)content.Length).Raw(content);

        private Message Key(int field, int kind) => Number((ulong)((field << 3) | kind));

        private Message Number(ulong value)
        {
            for (; value > 0x7f; value >>= 7)
            {
                _bytes.Add((byte)(value | 0x80));
            }

            _bytes.Add((byte)value);
            return this;
        }

        private Message Raw(ReadOnlySpan<byte> bytes)
        {
            _bytes.AddRange(bytes);
            return this;
        }
    }
}
