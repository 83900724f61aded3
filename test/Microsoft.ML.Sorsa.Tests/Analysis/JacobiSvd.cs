namespace Microsoft.ML.Sorsa.Tests.Analysis;

/// <summary>
/// A singular value decomposition by one-sided Jacobi rotations, in plain loops: slow, and nothing of LAPACK's. Triplets in descending
/// order of the singular values; those of zero are left out.
/// </summary>
internal sealed class JacobiSvd
{
    private JacobiSvd(IReadOnlyList<(double Value, double[] Left, double[] Right)> triplets) => Triplets = triplets;

    public IReadOnlyList<(double Value, double[] Left, double[] Right)> Triplets { get; }

    public static JacobiSvd Of(double[,] matrix)
    {
        (int rows, int columns) = (matrix.GetLength(0), matrix.GetLength(1));
        double[][] images = [.. Enumerable.Range(0, columns).Select(j => Enumerable.Range(0, rows).Select(i => matrix[i, j]).ToArray())];
        double[][] basis =
            [.. Enumerable.Range(0, columns).Select(j => Enumerable.Range(0, columns).Select(i => i == j ? 1.0 : 0).ToArray())];
        for ((int sweep, bool turned) = (0, true); turned && sweep < 60; sweep++)
        {
            turned = false;
            for (int p = 0; p < columns; p++)
            {
                for (int q = p + 1; q < columns; q++)
                {
                    (double a, double b, double c) = (Dot(images[p], images[p]), Dot(images[q], images[q]), Dot(images[p], images[q]));
                    if (Math.Abs(c) <= 1e-15 * Math.Max(a, b))
                    {
                        continue;
                    }

                    turned = true;
                    double angle = 0.5 * Math.Atan2(2 * c, a - b);
                    Turn(images, p, q, angle);
                    Turn(basis, p, q, angle);
                }
            }
        }

        return new JacobiSvd([.. Enumerable.Range(0, columns)
            .Select(j => (Value: Math.Sqrt(Dot(images[j], images[j])), Left: images[j], Right: basis[j]))
            .OrderByDescending(triplet => triplet.Value)
            .Take(Math.Min(rows, columns))
            .Where(triplet => triplet.Value > 1e-12)
            .Select(triplet => (triplet.Value, triplet.Left.Select(x => x / triplet.Value).ToArray(), triplet.Right))]);
    }

    public static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    private static void Turn(double[][] columns, int p, int q, double angle)
    {
        (double cos, double sin) = (Math.Cos(angle), Math.Sin(angle));
        for (int i = 0; i < columns[p].Length; i++)
        {
            (columns[p][i], columns[q][i]) =
                (cos * columns[p][i] + sin * columns[q][i], cos * columns[q][i] - sin * columns[p][i]);
        }
    }
}
