namespace Microsoft.ML.Sorsa.Tests.Checkpoints;

/// <summary>Gives its bytes a few at a time, as a compressed or remote stream may, and cannot seek.</summary>
internal sealed class TrickleStream(byte[] bytes) : Stream
{
    private int _at;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        int given = Math.Min(Math.Min(count, 3), bytes.Length - _at);
        bytes.AsSpan(_at, given).CopyTo(buffer.AsSpan(offset));
        _at += given;
        return given;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
