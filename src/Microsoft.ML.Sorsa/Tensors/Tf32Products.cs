using TorchSharp;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// While one of these is there, a GPU multiplies float32 matrices in TF32: with 10 bits of mantissa of each factor, summed in float32.
/// libtorch has one setting for the whole process, so that other threads compute so for as long; with the last of them it is again what it
/// was. A CPU does not look at it.
/// </summary>
internal sealed class Tf32Products : IDisposable
{
    private static readonly Lock s_turn = new();
    private static int s_users;
    private static bool s_before;

    private bool _disposed;

    private Tf32Products()
    {
        lock (s_turn)
        {
            if (s_users++ == 0)
            {
                s_before = torch.backends.cuda.matmul.allow_tf32;
                torch.backends.cuda.matmul.allow_tf32 = true;
            }
        }
    }

    /// <summary>Null, and nothing changes, where they are not asked for.</summary>
    public static Tf32Products? Where(bool areAllowed) => areAllowed ? new Tf32Products() : null;

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        lock (s_turn)
        {
            if (--s_users == 0)
            {
                torch.backends.cuda.matmul.allow_tf32 = s_before;
            }
        }
    }
}
