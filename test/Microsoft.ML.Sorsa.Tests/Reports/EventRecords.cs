using Tensorboard;

namespace Microsoft.ML.Sorsa.Tests.Reports;

/// <summary>
/// Reads event files as TensorBoard does: records with a masked CRC-32C, here by the polynomial, bit by bit, and messages by the classes
/// that protoc made of TensorFlow's event.proto (they come with TorchSharp).
/// </summary>
internal static class EventRecords
{
    public static IReadOnlyList<Event> Read(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new BinaryReader(stream);
        var events = new List<Event>();
        while (stream.Position < stream.Length)
        {
            byte[] length = reader.ReadBytes(8);
            Assert.AreEqual(Masked(length), reader.ReadUInt32(), "the checksum of a length");
            byte[] content = reader.ReadBytes((int)BitConverter.ToUInt64(length));
            Assert.AreEqual(Masked(content), reader.ReadUInt32(), "the checksum of a message");
            events.Add(Event.Parser.ParseFrom(content));
        }

        return events;
    }

    /// <summary>What TensorBoard shows of a folder: a start takes away what earlier files have at its step and behind it.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<(long Step, float Value)>> Series(string folder)
    {
        var series = new Dictionary<string, IReadOnlyList<(long Step, float Value)>>(StringComparer.Ordinal);
        foreach (string file in Directory.GetFiles(folder).Order(StringComparer.Ordinal))
        {
            foreach (Event record in Read(file))
            {
                if (record.SessionLog?.Status == SessionLog.Types.SessionStatus.Start)
                {
                    foreach (string name in series.Keys.ToArray())
                    {
                        series[name] = [.. series[name].Where(point => point.Step < record.Step)];
                    }
                }

                foreach (Summary.Types.Value value in record.Summary?.Value ?? [])
                {
                    series[value.Tag] = [.. series.GetValueOrDefault(value.Tag) ?? [], (record.Step, value.SimpleValue)];
                }
            }
        }

        return series;
    }

    private static uint Masked(byte[] bytes)
    {
        uint rest = uint.MaxValue;
        foreach (byte value in bytes)
        {
            rest ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                rest = (rest & 1) == 0 ? rest >> 1 : (rest >> 1) ^ 0x82f63b78;
            }
        }

        rest = ~rest;
        return unchecked(((rest >> 15) | (rest << 17)) + 0xa282ead8);
    }
}
