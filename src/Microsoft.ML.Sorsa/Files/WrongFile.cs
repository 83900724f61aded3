using System.Text;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>
/// Files that lie where another one belongs, because a download or a conversion went wrong. Every reader asks here first, so that the error
/// says what the file is and not where its bytes stop making sense.
/// </summary>
internal static class WrongFile
{
    /// <summary>The remedy where nothing better is known.</summary>
    public const string FetchAgain = "Fetch or write the file again";

    private const string Download =
        "Fetch the file itself: 'git lfs install' and 'git lfs pull' in the folder of a clone, or 'hf download'";

    private const string Answer = "Fetch the file again, where need be with a token that may read it ('hf auth login')";

    private const string Convert =
        "Save the model as safetensors first, with transformers: AutoModelForCausalLM.from_pretrained(folder).save_pretrained(other)";

    private const string Unpack = "Unpack it, and name what is in it";

    private const string Gguf =
        "GGUF is for llama.cpp and its kin: fetch the model that it was made from, as safetensors";

    /// <summary>How each begins, in ASCII but for \x, what it is, and what to do.</summary>
    private static readonly (byte[] Start, string What, string Remedy)[] s_known =
    [
        ("version https://git-lfs."u8.ToArray(), "a Git LFS pointer and not the file that it stands for", Download),
        ("version https://hawser."u8.ToArray(), "a Git LFS pointer and not the file that it stands for", Download),
        ("/annex/objects/"u8.ToArray(), "a git-annex pointer and not the file that it stands for", "Fetch the file with 'git annex get'"),
        ("GGUF"u8.ToArray(), "a GGUF file", Gguf),
        ("lmgg"u8.ToArray(), "a GGML file", Gguf),
        ("fmgg"u8.ToArray(), "a GGML file", Gguf),
        ("tjgg"u8.ToArray(), "a GGML file", Gguf),
        ([0x1F, 0x8B, 8], "a gzip file", Unpack),
        ("BZh"u8.ToArray(), "a bzip2 file", Unpack),
        ([0xFD, .. "7zXZ"u8, 0], "an xz file", Unpack),
        ([0x28, 0xB5, 0x2F, 0xFD], "a zstd file", Unpack),
        ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "a 7-Zip archive", Unpack),
        ("Rar!"u8.ToArray(), "a RAR archive", Unpack),
        ("PK\x3\x4"u8.ToArray(), "a zip archive, as PyTorch's checkpoints are (.bin, .pt, .pth: pickled programs)", Convert),
        ("PK\x5\x6"u8.ToArray(), "an empty zip archive", FetchAgain),
        ([0x80, 2], "a Python pickle, as PyTorch's older checkpoints are: a program, which is not run", Convert),
        ([0x80, 3], "a Python pickle: a program, which is not run", Convert),
        ([0x80, 4, 0x95], "a Python pickle: a program, which is not run", Convert),
        ([0x80, 5, 0x95], "a Python pickle: a program, which is not run", Convert),
        ([0x89, .. "HDF\r\n"u8], "an HDF5 file, as Keras writes them", Convert),
        ([0x93, .. "NUMPY"u8], "a NumPy array", Convert),
        ("PAR1"u8.ToArray(), "a Parquet file", FetchAgain),
        ("Entry not found"u8.ToArray(), "a server's answer that there is no such file", Answer),
        ("Repository not found"u8.ToArray(), "a server's answer that there is no such model", Answer),
        ("Invalid username or password"u8.ToArray(), "a server's answer that you must log in", Answer),
        ("Access to model "u8.ToArray(), "a server's answer that the model's terms must be accepted first", Answer),
        ("Unauthorized"u8.ToArray(), "a server's answer that you must log in", Answer),
        ("404"u8.ToArray(), "a server's answer that there is no such file", Answer),
    ];

    private static readonly string[] s_markup = ["<!doctype", "<html", "<head", "<?xml", "<error"];

    /// <summary>Refuses a file that is one of those that are known here.</summary>
    /// <param name="file">What errors call it.</param>
    /// <param name="start">Its first bytes, some hundred or all of them.</param>
    /// <exception cref="InvalidDataException">Names the file, what it is and the remedy.</exception>
    public static void Verify(string file, ReadOnlySpan<byte> start)
    {
        if (Describe(start) is var (what, remedy))
        {
            throw new InvalidDataException($"'{file}' is {what}. {remedy}.");
        }
    }

    /// <summary>What a file is, with the article; null where nothing is known of it.</summary>
    public static (string What, string Remedy)? Describe(ReadOnlySpan<byte> start)
    {
        if (start.IsEmpty)
        {
            return ("empty", FetchAgain);
        }

        foreach ((byte[] known, string what, string remedy) in s_known)
        {
            if (start.StartsWith(known))
            {
                return (what, remedy);
            }
        }

        if (start.Length >= 64 && !start[..64].ContainsAnyExcept((byte)0))
        {
            return ("a file of zeros from its beginning on: a download that did not end", FetchAgain);
        }

        string text = Encoding.ASCII.GetString(Utf8Text.WithoutMark(start[..Math.Min(start.Length, 64)])).TrimStart();
        return s_markup.Any(mark => text.StartsWith(mark, StringComparison.OrdinalIgnoreCase))
            ? ("a web page (HTML or XML), as a server sends it instead of a file", Answer)
            : null;
    }
}
