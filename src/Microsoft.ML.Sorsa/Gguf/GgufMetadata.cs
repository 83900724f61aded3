using System.Text;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>The keys and values of a GGUF file, in the order in which they are added.</summary>
internal sealed class GgufMetadata
{
    // The numbers of the format.
    private const uint UInt32 = 4, Int32 = 5, Float32 = 6, Boolean = 7, Text = 8, List = 9;

    private readonly List<Action<BinaryWriter>> _entries = [];

    public int Count => _entries.Count;

    public void Add(string key, uint value) => Add(key, UInt32, writer => writer.Write(value));

    public void Add(string key, float value) => Add(key, Float32, writer => writer.Write(value));

    public void Add(string key, bool value) => Add(key, Boolean, writer => writer.Write(value));

    public void Add(string key, string value) => Add(key, Text, writer => WriteText(writer, value));

    public void Add(string key, IReadOnlyList<int> values) => AddList(key, Int32, values, (writer, value) => writer.Write(value));

    public void Add(string key, IReadOnlyList<float> values) => AddList(key, Float32, values, (writer, value) => writer.Write(value));

    public void Add(string key, IReadOnlyList<string> values) => AddList(key, Text, values, WriteText);

    public void WriteTo(BinaryWriter writer) => _entries.ForEach(write => write(writer));

    /// <summary>A text as the format has it: its length in bytes, and its UTF-8.</summary>
    public static void WriteText(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private void Add(string key, uint type, Action<BinaryWriter> write) => _entries.Add(writer =>
    {
        WriteText(writer, key);
        writer.Write(type);
        write(writer);
    });

    private void AddList<T>(string key, uint type, IReadOnlyList<T> values, Action<BinaryWriter, T> write) => Add(key, List, writer =>
    {
        writer.Write(type);
        writer.Write((ulong)values.Count);
        foreach (T value in values)
        {
            write(writer, value);
        }
    });
}
