using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// The SHA-256 of a folder's files, in a file of their own, as sha256sum prints and checks them: hash, two spaces, name. They find damage,
/// not forgery.
/// </summary>
internal sealed class Checksums
{
    public const string FileName = "SHA256SUMS";

    private readonly SortedDictionary<string, string> _hashes = new(StringComparer.Ordinal);

    /// <summary>Writes one file of a new folder, and remembers its checksum.</summary>
    public void WriteFile(NewFolder folder, string name, Action<Stream> write) => folder.WriteFile(name, stream =>
    {
        using var hashed = new HashedStream(stream);
        write(hashed);
        _hashes.Add(name, hashed.Hash);
    });

    /// <summary>Writes the checksums of all files so far.</summary>
    public void WriteTo(NewFolder folder)
    {
        byte[] lines = Encoding.UTF8.GetBytes(string.Concat(_hashes.Select(file => $"{file.Value}  {file.Key}\n")));
        folder.WriteFile(FileName, stream => stream.Write(lines));
    }

    /// <summary>Reads every file of a folder that has a checksum, and compares.</summary>
    /// <exception cref="InvalidDataException">There are no checksums, a file is missing, or its content is another one.</exception>
    public static void Verify(string folder)
    {
        string path = Path.Combine(folder, FileName);
        string[] lines = File.Exists(path) ? File.ReadAllLines(path) : throw Damaged(folder, $"it has no {FileName}");
        if (lines.Length == 0)
        {
            throw Damaged(folder, $"its {FileName} is empty");
        }

        foreach (string line in lines)
        {
            string[] parts = line.Split("  ", 2);
            string name = parts[^1];
            if (parts.Length != 2 || Path.GetFileName(name) != name)
            {
                throw Damaged(folder, $"its {FileName} has the line '{line}', which is no hash and plain file name");
            }

            string file = Path.Combine(folder, name);
            if (!File.Exists(file))
            {
                throw Damaged(folder, $"'{name}' is missing");
            }

            if (Hash(file) != parts[0])
            {
                throw Damaged(folder, $"'{name}' is not as it was written");
            }
        }
    }

    private static string Hash(string file)
    {
        using FileStream stream = File.OpenRead(file);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static InvalidDataException Damaged(string folder, string fault) =>
        new($"'{folder}' is damaged: {fault}. Copy it again, or remove it.");
}
