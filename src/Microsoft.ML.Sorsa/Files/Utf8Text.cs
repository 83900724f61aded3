using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>The text of a file that somebody else wrote: UTF-8, with a byte order mark in front or without one.</summary>
internal static class Utf8Text
{
    private static ReadOnlySpan<byte> Mark => [0xEF, 0xBB, 0xBF];

    /// <summary>Decodes it.</summary>
    /// <exception cref="InvalidDataException">As <see cref="Verify"/>.</exception>
    public static string Read(string file, ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(Verify(file, bytes));

    /// <summary>By its mark; without one it shows by every other byte of plain letters.</summary>
    public static bool IsUtf16(ReadOnlySpan<byte> start) =>
        start is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..] or [0, not 0, 0, not 0, ..] or [not 0, 0, not 0, 0, ..];

    /// <summary>The same bytes without the mark.</summary>
    public static ReadOnlySpan<byte> WithoutMark(ReadOnlySpan<byte> bytes) => bytes.StartsWith(Mark) ? bytes[Mark.Length..] : bytes;

    /// <summary>The bytes without the mark, which are UTF-8.</summary>
    /// <exception cref="InvalidDataException">They are in another encoding; names the first byte that shows it.</exception>
    public static ReadOnlySpan<byte> Verify(string file, ReadOnlySpan<byte> bytes)
    {
        if (IsUtf16(bytes))
        {
            throw new InvalidDataException($"'{file}' is in UTF-16, as some editors and PowerShell's > write. Save it as UTF-8.");
        }

        ReadOnlySpan<byte> text = WithoutMark(bytes);
        if (Utf8.IsValid(text))
        {
            return text;
        }

        int at = 0;
        while (Rune.DecodeFromUtf8(text[at..], out _, out int length) == OperationStatus.Done)
        {
            at += length;
        }

        throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
            $"'{file}' is not UTF-8: byte {at + bytes.Length - text.Length}, in line {text[..at].Count((byte)'\n') + 1}, is ")
            + string.Create(CultureInfo.InvariantCulture, $"0x{text[at]:X2}. ")
            + $"Save it as UTF-8. If it was not edited: {WrongFile.FetchAgain.ToLowerInvariant()}.");
    }
}
