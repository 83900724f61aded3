using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>
/// Writes what stands in the model stream of a zip, and the small entries beside it, and at the end one hash over all of that: the zip
/// itself checks no content, and a digit changed in config.json would only make the answers worse.
/// </summary>
internal sealed class ZipSettingsWriter(ModelSaveContext ctx)
{
    private readonly ZipSettingsHash _hash = new();

    public void Write(string text)
    {
        ctx.SaveNonEmptyString(text);
        _hash.Add(text);
    }

    public void Write(int number)
    {
        ctx.Writer.Write(number);
        _hash.Add(number);
    }

    public void Write(double number)
    {
        ctx.Writer.Write(number);
        _hash.Add(number);
    }

    public void WriteEntry(string name, byte[] content)
    {
        ArchiveWriter.WriteStored(ctx, name, stream => stream.Write(content));
        ctx.SaveNonEmptyString(_hash.Add(name, content));
    }

    public void WriteHash() => ctx.SaveNonEmptyString(_hash.Value);
}

/// <summary>Reads what <see cref="ZipSettingsWriter"/> wrote, in the same order.</summary>
/// <param name="ctx">From the loader's Create method.</param>
/// <param name="hashed">Version 0.1 wrote no hashes but that of the weights.</param>
internal sealed class ZipSettingsReader(ModelLoadContext ctx, bool hashed)
{
    private readonly ZipSettingsHash _hash = new();

    public string ReadText()
    {
        string text = ctx.LoadNonEmptyString();
        _hash.Add(text);
        return text;
    }

    public int ReadInteger()
    {
        int number = ctx.Reader.ReadInt32();
        _hash.Add(number);
        return number;
    }

    public double ReadNumber()
    {
        double number = ctx.Reader.ReadDouble();
        _hash.Add(number);
        return number;
    }

    /// <exception cref="InvalidDataException">It is not what was written.</exception>
    public byte[] ReadEntry(string name)
    {
        byte[] content = ArchiveReader.ReadBytes(ctx, name);
        string hash = _hash.Add(name, content);
        return !hashed || ctx.LoadNonEmptyString() == hash
            ? content
            : throw ArchiveReader.Damaged(name, "is damaged: its bytes are not those that were saved");
    }

    /// <exception cref="InvalidDataException">Something of all that is not what was written.</exception>
    public void VerifyHash()
    {
        if (hashed && ctx.LoadNonEmptyString() != _hash.Value)
        {
            throw ArchiveReader.Damaged(
                ModelLoadContext.ModelStreamName, "is damaged: columns, prompt template or numbers are not those that were saved");
        }
    }
}

/// <summary>SHA-256 over a sequence of texts, numbers and entries.</summary>
internal sealed class ZipSettingsHash
{
    private readonly StringBuilder _all = new();

    public string Value => Of(Encoding.UTF8.GetBytes(_all.ToString()));

    /// <summary>With its length in front, so that no two sequences give the same text.</summary>
    public void Add(string text) => _all.Append(CultureInfo.InvariantCulture, $"{text.Length}:{text}\n");

    public void Add(int number) => _all.Append(CultureInfo.InvariantCulture, $"{number}\n");

    public void Add(double number) => _all.Append(CultureInfo.InvariantCulture, $"{BitConverter.DoubleToInt64Bits(number):x}\n");

    /// <returns>The hash of the entry alone.</returns>
    public string Add(string name, byte[] content)
    {
        string hash = Of(content);
        Add(name);
        Add(hash);
        return hash;
    }

    private static string Of(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));
}
