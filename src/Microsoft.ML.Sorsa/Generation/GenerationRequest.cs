using System.Threading.Channels;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>One text that a caller waits for while <see cref="ContinuousBatching"/> decodes it beside others.</summary>
/// <param name="row">Has a text. It belongs to the decoding thread until that is over.</param>
/// <param name="adapter">Says with which adapter, when the text's turn has come; null: none.</param>
/// <param name="cancellationToken">The caller's.</param>
internal sealed class GenerationRequest(GenerationRow row, Func<string?> adapter, CancellationToken cancellationToken)
{
    private readonly Channel<string> _pieces = Channel.CreateUnbounded<string>(
        new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

    private readonly Lazy<string?> _adapter = new(adapter, LazyThreadSafetyMode.None);
    private volatile bool _abandoned;

    public GenerationRow Row => row;

    /// <summary>Prompt tokens whose keys and values were kept from a text before.</summary>
    public int KeptTokens { get; set; }

    /// <summary>The adapter that it is answered with.</summary>
    public string? Adapter => _adapter.Value;

    /// <summary>Nobody waits for it any more.</summary>
    public bool IsUnwanted => _abandoned || cancellationToken.IsCancellationRequested;

    /// <summary>The text in pieces, as they become certain. Whoever stops reading ends it.</summary>
    public async IAsyncEnumerable<string> Pieces()
    {
        try
        {
            await foreach (string piece in _pieces.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return piece;
            }
        }
        finally
        {
            _abandoned = true;
        }
    }

    /// <summary>Gives the caller what became certain; at the end of the text nothing more comes.</summary>
    public void Deliver()
    {
        if (row.Text!.Take() is { Length: > 0 } piece)
        {
            _pieces.Writer.TryWrite(piece);
        }

        if (row.Stopped is not null)
        {
            _pieces.Writer.TryComplete();
        }
    }

    /// <summary>The caller gets this error instead of what is missing.</summary>
    public void Fail(Exception error) => _pieces.Writer.TryComplete(error);

    /// <summary>The caller's own cancellation.</summary>
    public void Cancel() => Fail(new OperationCanceledException(cancellationToken));
}
